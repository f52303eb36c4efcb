//! The Lambda function `conversation`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(rooms::routes())
}

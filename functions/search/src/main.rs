//! The Lambda function `search`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(search::routes())
}

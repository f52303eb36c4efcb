//! The Lambda function `send`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(send::routes())
}

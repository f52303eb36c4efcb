//! The Lambda function `send`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(send::routes())
}

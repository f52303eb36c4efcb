//! The Lambda function `conversation`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(conversations::routes())
}

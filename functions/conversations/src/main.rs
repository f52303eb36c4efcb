//! The Lambda function `conversations`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(conversations::routes())
}

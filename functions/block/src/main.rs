//! The Lambda function `block`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(block::routes())
}

//! The Lambda function `typing`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(typing::routes())
}

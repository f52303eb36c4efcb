//! The Lambda function `delete`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(delete::routes())
}

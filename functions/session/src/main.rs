//! The Lambda function `session`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(session::routes())
}

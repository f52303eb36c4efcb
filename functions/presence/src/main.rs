//! The Lambda function `presence`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(presence::routes())
}

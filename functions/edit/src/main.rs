//! The Lambda function `edit`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(edit::routes())
}

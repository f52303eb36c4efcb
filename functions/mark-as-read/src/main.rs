//! The Lambda function `mark-as-read`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(mark_as_read::routes())
}

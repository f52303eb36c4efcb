//! The Lambda function `attachments`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(attachments::routes())
}

//! The Lambda function `unread-count`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(unread_count::routes())
}

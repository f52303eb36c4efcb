//! The Lambda function `unread-count`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(unread_count::routes())
}

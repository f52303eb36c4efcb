//! The Lambda function `mark-as-read`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(mark_as_read::routes())
}

//! The Lambda function `events`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(events::routes())
}

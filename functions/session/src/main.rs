//! The Lambda function `session`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(session::routes())
}

//! The Lambda function `presence`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(presence::routes())
}

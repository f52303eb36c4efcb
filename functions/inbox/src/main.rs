//! The Lambda function `inbox`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(inbox::routes())
}

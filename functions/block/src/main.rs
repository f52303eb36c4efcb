//! The Lambda function `block`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(block::routes())
}

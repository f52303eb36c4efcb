//! The Lambda function `typing`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(typing::routes())
}

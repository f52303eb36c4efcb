//! The Lambda function `delete`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(delete::routes())
}

//! The Lambda function `about`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(about::routes())
}

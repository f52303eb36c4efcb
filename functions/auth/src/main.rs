//! The Lambda function `auth`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(auth::routes())
}

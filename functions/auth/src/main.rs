//! The Lambda function `auth`.

fn main() -> Result<(), lambda_http::Error> {
    edge::run::run(auth::routes())
}

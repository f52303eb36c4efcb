//! The Lambda function `ws-ticket`.

fn main() -> Result<(), lambda_http::Error> {
    shared::app::run(ws_ticket::routes())
}

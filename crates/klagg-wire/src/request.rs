//! What a client of a stream sends, and the answers: for the compatible API and the simulator.
//!
//! Requests (docs: Live Subscribing/Unsubscribing to streams):
//! ```json
//! {"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}
//! ```
//! Every well-formed one is acknowledged, even for names that never deliver (measured).

use crate::encode::json_string;
use crate::json::{Field, Json, Parser};
use crate::limits::REQUEST_BYTES_MAX;
use crate::{Row, WireError};

/// Longest text that is taken as a request id, in bytes.
const ID_BYTES_MAX: usize = 36;

/// The id by which a client knows the answer to its request.
///
/// The docs of USD-M say "unsigned int"; the exchange's other products take short texts and null
/// as well, and clients written for them are served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RequestId {
    /// A number.
    Unsigned(u64),
    /// A text of at most 36 bytes.
    Text(String),
    /// Null, or none at all.
    #[default]
    Null,
}

/// A request, read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientRequest {
    /// `{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}`
    Subscribe {
        /// Names as sent; not all need be known.
        streams: Vec<String>,
        /// For the answer.
        id: RequestId,
    },
    /// `{"method":"UNSUBSCRIBE","params":["btcusdt@aggTrade"],"id":2}`
    Unsubscribe {
        /// Names as sent.
        streams: Vec<String>,
        /// For the answer.
        id: RequestId,
    },
    /// `{"method":"LIST_SUBSCRIPTIONS","id":3}`
    ListSubscriptions {
        /// For the answer.
        id: RequestId,
    },
    /// `{"method":"SET_PROPERTY","params":["combined",true],"id":5}`
    SetProperty {
        /// Whether frames are to be wrapped as `{"stream":…,"data":…}`.
        combined: bool,
        /// For the answer.
        id: RequestId,
    },
    /// `{"method":"GET_PROPERTY","params":["combined"],"id":6}`
    GetProperty {
        /// For the answer.
        id: RequestId,
    },
}

/// Why a request is refused, with the exchange's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 0 unknown property, 1 wrong type of value, 2 invalid request, 3 not JSON, 4 too many
    /// streams.
    pub code: i64,
    /// For people.
    pub message: String,
    /// The id of the request, if it could be read.
    pub id: Option<RequestId>,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: i64, message: impl Into<String>, id: Option<RequestId>) -> Self {
        Self { code, message: message.into(), id }
    }

    /// The refusal of the 1025th stream: `{"error":{"code":4,"msg":"Too many subscriptions"}}`
    /// (measured; a close with 1008 follows).
    pub fn too_many_subscriptions() -> Self {
        Self::new(4, "Too many subscriptions", None)
    }
}

/// Reads a text frame of a client.
///
/// # Errors
/// [`Refusal`] with the exchange's code, ready to be encoded.
pub fn parse(frame: &[u8]) -> Result<ClientRequest, Refusal> {
    let mut parser = Parser::new(frame.len().min(REQUEST_BYTES_MAX));
    let read = parser.parse(frame, REQUEST_BYTES_MAX, |root| Ok(request(root)));
    read.unwrap_or_else(|error| Err(not_json(error)))
}

fn not_json(error: WireError) -> Refusal {
    Refusal::new(3, format!("Invalid JSON: {error}"), None)
}

fn request(root: Json<'_, '_>) -> Result<ClientRequest, Refusal> {
    let invalid = |error: WireError| Refusal::new(2, format!("Invalid request: {error}"), None);
    let [method, params, id] =
        root.fields(["method", "params", "id"], Row::NONE).map_err(invalid)?;
    let id = request_id(id).ok_or_else(|| {
        Refusal::new(2, "Invalid request: request ID must be an unsigned integer", None)
    })?;
    let refuse =
        |error: WireError| Refusal::new(2, format!("Invalid request: {error}"), Some(id.clone()));
    match method.text().map_err(refuse)? {
        "SUBSCRIBE" => Ok(ClientRequest::Subscribe { streams: names(params).map_err(refuse)?, id }),
        "UNSUBSCRIBE" => {
            Ok(ClientRequest::Unsubscribe { streams: names(params).map_err(refuse)?, id })
        }
        "LIST_SUBSCRIPTIONS" => Ok(ClientRequest::ListSubscriptions { id }),
        "SET_PROPERTY" => match property(params).map_err(refuse)? {
            (true, Some(combined)) => Ok(ClientRequest::SetProperty { combined, id }),
            (true, None) => Err(Refusal::new(1, "Invalid value type: expected Boolean", Some(id))),
            (false, _) => Err(Refusal::new(0, "Unknown property", Some(id))),
        },
        "GET_PROPERTY" => match property(params).map_err(refuse)? {
            (true, _) => Ok(ClientRequest::GetProperty { id }),
            (false, _) => Err(Refusal::new(0, "Unknown property", Some(id))),
        },
        method => {
            let method: String = method.chars().take(40).collect();
            let message = format!("Invalid request: unknown method `{method}`");
            Err(Refusal::new(2, message, Some(id)))
        }
    }
}

fn request_id(id: Field<'_, '_>) -> Option<RequestId> {
    let Some(value) = id.value else { return Some(RequestId::Null) };
    if value.is_null() {
        return Some(RequestId::Null);
    }
    match (value.unsigned(), value.text()) {
        (Some(number), _) => Some(RequestId::Unsigned(number)),
        (None, Some(text)) if text.len() <= ID_BYTES_MAX => Some(RequestId::Text(text.to_owned())),
        _ => None,
    }
}

fn names(params: Field<'_, '_>) -> Result<Vec<String>, WireError> {
    let values =
        params.required()?.elements().ok_or_else(|| params.fault("an array of stream names"))?;
    values
        .map(|value| {
            value.text().map(str::to_owned).ok_or_else(|| params.fault("an array of stream names"))
        })
        .collect()
}

/// Whether the property is `combined`, and its value if that is a boolean.
fn property(params: Field<'_, '_>) -> Result<(bool, Option<bool>), WireError> {
    let mut values =
        params.required()?.elements().ok_or_else(|| params.fault("an array with a property"))?;
    let name = values.next().and_then(Json::text);
    Ok((name == Some("combined"), values.next().and_then(Json::flag)))
}

/// Appends `{"result":null,"id":1}`: the answer to a subscription, whatever it named.
pub fn encode_ack(out: &mut String, id: &RequestId) {
    out.push_str(r#"{"result":null,"id":"#);
    encode_id(out, id);
    out.push('}');
}

/// Appends `{"result":["btcusdt@aggTrade"],"id":3}`: the answer to `LIST_SUBSCRIPTIONS`.
pub fn encode_subscriptions(out: &mut String, streams: &[impl AsRef<str>], id: &RequestId) {
    out.push_str(r#"{"result":["#);
    for (at, stream) in streams.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        json_string(out, stream.as_ref());
    }
    out.push_str(r#"],"id":"#);
    encode_id(out, id);
    out.push('}');
}

/// Appends `{"result":true,"id":6}`: the answer to `GET_PROPERTY` of `combined`.
pub fn encode_property(out: &mut String, combined: bool, id: &RequestId) {
    out.push_str(if combined { r#"{"result":true,"id":"# } else { r#"{"result":false,"id":"# });
    encode_id(out, id);
    out.push('}');
}

/// Appends `{"error":{"code":4,"msg":"Too many subscriptions"}}`, with the id where it is known.
pub fn encode_refusal(out: &mut String, refusal: &Refusal) {
    out.push_str(r#"{"error":{"code":"#);
    out.push_str(&refusal.code.to_string());
    out.push_str(r#","msg":"#);
    json_string(out, &refusal.message);
    out.push('}');
    if let Some(id) = &refusal.id {
        out.push_str(r#","id":"#);
        encode_id(out, id);
    }
    out.push('}');
}

fn encode_id(out: &mut String, id: &RequestId) {
    match id {
        RequestId::Unsigned(number) => out.push_str(&number.to_string()),
        RequestId::Text(text) => json_string(out, text),
        RequestId::Null => out.push_str("null"),
    }
}

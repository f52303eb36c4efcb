//! Fills the store over HTTP, with as many clients as the largest load.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use tokio::task::JoinSet;

use crate::client::{Call, Client, User};
use crate::disk;
use crate::failure::Failure;
use crate::report::{grouped, note};
use crate::server::Server;
use crate::text::Texts;

const CLIENTS: usize = 32;
/// One text in this many contains the rare word.
const RARITY: usize = 1_000;

/// Unread conversations of the user who has read most.
pub(crate) const UNREAD: usize = 50;

/// Two users with a conversation.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// The first user.
    pub one: User,
    /// The second user.
    pub other: User,
}

impl Pair {
    /// Returns the sender and the receiver of the message with this index: the two alternate.
    pub(crate) fn turn(&self, index: usize) -> (&User, &User) {
        if index.is_multiple_of(2) { (&self.one, &self.other) } else { (&self.other, &self.one) }
    }
}

/// The size of a dataset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Conversations in the main user's inbox, each with unread messages.
    pub conversations: usize,
    /// Messages in the long conversation.
    pub messages: usize,
}

/// A user with many conversations, one of them long.
pub(crate) struct Dataset {
    /// The main user (`one`) and the other user of the long conversation (`other`).
    pub pair: Pair,
    /// Another user with as many conversations, all but [`UNREAD`] of them read.
    pub quiet: User,
    /// The users of the other conversations.
    pub peers: Vec<User>,
    /// The long conversation's id.
    pub conversation: String,
    /// The size.
    pub size: Size,
    /// Bytes by which the database grew while the long conversation was filled.
    pub growth: u64,
}

impl Dataset {
    /// Creates the users and fills their conversations.
    pub(crate) async fn fill(server: &Server, name: &str, size: Size) -> Result<Self, Failure> {
        let Size { conversations, messages } = size;
        note(&format!("filling an inbox with {} conversations", grouped(conversations)))?;
        let peers = (1..conversations).map(|number| format!("{name}-peer-{number}"));
        let ids = [name.to_owned(), format!("{name}-quiet"), format!("{name}-pal")];
        let mut users = users(server, ids.into_iter().chain(peers).collect()).await?;
        if users.len() < 3 {
            return Err("too few users".into());
        }
        let peers = users.split_off(3);
        let [one, quiet, other] = <[User; 3]>::try_from(users).map_err(|_| "too many users")?;
        greet(server, peers.clone(), &one).await?;
        note("filling a second inbox and reading most of it")?;
        read_most(server, peers.iter().chain([&other]).cloned().collect(), &quiet).await?;

        note(&format!("filling a conversation with {} messages", grouped(messages)))?;
        let pair = Pair { one, other };
        let conversation = open(server, &pair).await?;
        let before = disk::database_size(server.folder())?;
        make_all(server.address, chat(pair.clone(), messages - 1)).await?;
        let growth = disk::database_size(server.folder())?.saturating_sub(before);
        Ok(Self { pair, quiet, peers, conversation, size, growth })
    }
}

/// Sends a message from each peer to the hub.
async fn greet(server: &Server, peers: Vec<User>, hub: &User) -> Result<(), Failure> {
    let (mut texts, hub) = (Texts::new(0), hub.id.clone());
    make_all(server.address, peers.into_iter().map(move |peer| peer.send(&hub, &texts.usual()))).await
}

/// Sends a message from each peer to the hub, who then reads all but [`UNREAD`] of them.
async fn read_most(server: &Server, peers: Vec<User>, hub: &User) -> Result<(), Failure> {
    greet(server, peers.clone(), hub).await?;
    let read_from = |peer: &User| {
        hub.call(&Method::GET, &format!("/api/messages/conversation/{}?limit=1&mark_read=true", peer.id))
    };
    let calls: Vec<_> = peers.iter().skip(UNREAD).map(read_from).collect();
    make_all(server.address, calls.into_iter()).await?;
    let mut client = Client::connect(server.address).await?;
    let count = client.call(hub.call(&Method::GET, "/api/messages/unread-count")?).await?.json()?;
    let unread = &count["data"]["conversations"];
    if *unread == UNREAD { Ok(()) } else { Err(format!("{unread} conversations are unread").into()) }
}

/// Creates pairs of users, each with a conversation of one message.
pub(crate) async fn pairs(server: &Server, count: usize) -> Result<Vec<Pair>, Failure> {
    note("creating pairs of users")?;
    let ids = (0..count).flat_map(|index| [format!("reader-{index}"), format!("writer-{index}")]).collect();
    let mut users = users(server, ids).await?.into_iter();
    let mut pairs = Vec::with_capacity(count);
    while let (Some(one), Some(other)) = (users.next(), users.next()) {
        let pair = Pair { one, other };
        open(server, &pair).await?;
        pairs.push(pair);
    }
    Ok(pairs)
}

/// Returns users with these ids and with tokens. Each has made a first call, which creates the profile.
pub(crate) async fn users(server: &Server, ids: Vec<String>) -> Result<Vec<User>, Failure> {
    let tokens = server.tokens(&ids)?;
    let users = ids.into_iter().zip(tokens).map(|(id, token)| User::new(id, &token));
    let users = users.collect::<Result<Vec<_>, _>>()?;
    let calls: Vec<_> = users.iter().map(|user| user.call(&Method::GET, "/api/users/me")).collect();
    make_all(server.address, calls.into_iter()).await?;
    Ok(users)
}

/// Sends the first message of a pair. Returns the conversation's id.
async fn open(server: &Server, pair: &Pair) -> Result<String, Failure> {
    let mut client = Client::connect(server.address).await?;
    let sent = client.call(pair.other.send(&pair.one.id, "Hello, this is the first message.")?).await?;
    let sent = sent.json()?;
    let id = sent["data"]["conversation_id"].as_str();
    Ok(id.ok_or("a message without a conversation")?.to_owned())
}

/// Returns calls that send `count` messages, from both users in turn.
fn chat(pair: Pair, count: usize) -> impl Iterator<Item = Result<Call, Failure>> + Send + 'static {
    let mut texts = Texts::new(1);
    (0..count).map(move |index| {
        let (from, to) = pair.turn(index);
        let text = if index % RARITY == RARITY / 2 { texts.rare() } else { texts.usual() };
        from.send(&to.id, &text)
    })
}

/// Makes all calls: each of [`CLIENTS`] clients takes the next call until none is left.
async fn make_all(
    address: SocketAddr,
    calls: impl Iterator<Item = Result<Call, Failure>> + Send + 'static,
) -> Result<(), Failure> {
    let calls = Arc::new(Mutex::new(calls));
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        let calls = calls.clone();
        tasks.spawn(async move {
            let mut client = Client::connect(address).await?;
            let next = || calls.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some(call) = next() {
                client.call(call?).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

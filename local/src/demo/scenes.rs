//! The demo's direct conversations and groups.

use super::scene::Action::{Add, Clear, Delete, Describe, Hide, Leave, Promote, Read, Show};
use super::scene::Place::{Direct, Group};
use super::scene::{Place, Scene, Step, answer, edit, say};

const PICTURE: &str =
    "https://upload.wikimedia.org/wikipedia/commons/4/47/PNG_transparency_demonstration_1.png";

/// Returns all scenes, with the minutes since they began and ended.
pub(super) fn all() -> Vec<Scene> {
    let scenes: [(Place, i64, i64, Vec<Step>); 17] = [
        (Direct("alice", "bob"), 9_000, 3, boxes()),
        (Direct("alice", "carol"), 7_900, 45, meeting()),
        (Direct("alice", "eleni"), 4_300, 190, island()),
        (Direct("alice", "farah"), 2_900, 65, bakery()),
        (Direct("alice", "mei"), 1_500, 20, picture()),
        (Direct("alice", "priya"), 6_000, 11, release()),
        // Opened, but without a message yet: only Alice has it in her inbox.
        (Direct("alice", "yuki"), 30, 29, Vec::new()),
        (Direct("bob", "yuki"), 5_000, 720, photos()),
        (Direct("bob", "priya"), 3_100, 140, report()),
        (Direct("bob", "carol"), 8_200, 1_300, match_day()),
        (Direct("eleni", "carol"), 4_000, 95, deleted_by_carol()),
        (Direct("eleni", "farah"), 2_200, 400, coffee()),
        (Direct("mei", "yuki"), 1_900, 35, characters()),
        (Direct("mei", "priya"), 900, 15, emoji()),
        (Direct("farah", "carol"), 3_600, 260, cinema()),
        (Group("alice", "Moving day 📦", &["bob", "carol", "eleni", "priya"]), 8_800, 6, moving()),
        (Group("carol", "Book club 📚", &["alice", "bob", "priya", "yuki"]), 50, 49, Vec::new()),
    ];
    let scene = |(place, began, ended, steps)| Scene { place, began, ended, steps };
    scenes.into_iter().map(scene).collect()
}

fn boxes() -> Vec<Step> {
    vec![
        ("alice", say("Good morning! Did the boxes arrive?")),
        ("bob", Read),
        ("bob", say("Two of three. The third is still on it's way.")),
        ("bob", edit(1, "Two of three. The third is still on its way.")),
        ("alice", Read),
        ("alice", say("Then let us wait with the unpacking 📦")),
        ("bob", Read),
        ("bob", answer(2, "I opened one already. Sorry. It had the coffee machine in it.")),
        ("alice", Read),
        ("alice", say("That is an emergency. You are forgiven ☕")),
        ("alice", say("wrong chat")),
        ("alice", Delete(5)),
        ("bob", Read),
        ("bob", say("👍🏿")),
        ("bob", say("The van is booked for Saturday, 9:00 to 13:00.")),
        ("alice", Read),
        ("alice", say("Perfect. I'll bring gloves.")),
        ("bob", Read),
        ("bob", say("Here is the third one.")),
        ("bob", say("It rattles 😬")),
    ]
}

fn meeting() -> Vec<Step> {
    vec![
        ("carol", say("¿Vienes mañana a la reunión?")),
        ("alice", Read),
        ("alice", say("Yes, at nine. Shall I bring coffee?")),
        ("carol", Read),
        ("carol", say("Bitte, und ein Stück Kuchen aus der Großbäckerei!")),
        ("alice", Read),
        ("alice", answer(2, "Apfel oder Mohn?")),
        ("carol", Read),
        ("carol", say("Las dos cosas. Es lunes.")),
        ("alice", Read),
        ("alice", say("Verstanden 😄 ¡Hasta mañana!")),
    ]
}

fn island() -> Vec<Step> {
    vec![
        ("eleni", say("Καλημέρα! Θα έρθεις τελικά στη Νάξο;")),
        ("alice", Read),
        ("alice", say("Ich würde so gern! Wann fährt die Fähre?")),
        ("eleni", Read),
        ("eleni", say("Παρασκευή, 7:25 το πρωί, από τον Πειραιά.")),
        ("alice", Read),
        ("alice", say("7:25?! Das ist mitten in der Nacht.")),
        ("eleni", Read),
        ("eleni", say("χαχαχα")),
        ("eleni", say("Σου κράτησα εισιτή")),
        ("eleni", Delete(5)),
    ]
}

fn bakery() -> Vec<Step> {
    vec![
        ("farah", say("صباح الخير يا أليس! هل وصلت الرسالة؟")),
        ("alice", Read),
        ("alice", say("Good morning! Yes: رسالتك وصلت. My Arabic is getting better, isn't it?")),
        ("farah", Read),
        ("farah", say("ممتاز! 👏🏽")),
        ("farah", say("נפגשות ב־16:00 ליד המאפייה (Bäckerei Vogel)?")),
        ("alice", Read),
        ("alice", answer(3, "16:00 passt. בטח!")),
        ("farah", Read),
    ]
}

fn picture() -> Vec<Step> {
    vec![
        ("alice", say("Did you find the dice we lost?")),
        ("mei", Read),
        ("mei", say("找到了！在沙发底下 😂")),
        ("alice", Read),
        ("mei", Show("看 👀", PICTURE)),
    ]
}

fn release() -> Vec<Step> {
    vec![
        (
            "priya",
            say("The release notes are ready for you: https://example.com/releases/2026-02?draft=1#changes"),
        ),
        ("alice", Read),
        ("alice", say("Thanks! Two questions:\n\n1. Is the date right?\n2. Who tells the others?")),
        ("priya", Read),
        ("priya", answer(1, "1. हाँ\n2. मैं बता दूँगी")),
        ("alice", Read),
        ("alice", say("Great. धन्यवाद!")),
        ("priya", Read),
        ("priya", say("One more thing")),
        (
            "priya",
            say(
                "When we announce it, let us say what it is for before we say what it does. Nobody wakes up and wishes for \
                 a queue with cursors; they wish not to miss the message that dinner is ready. So: first the dinner, then \
                 the queue. I have written a draft that begins with my grandmother. She never missed a dinner.",
            ),
        ),
        ("priya", say("🙏🏾")),
    ]
}

fn photos() -> Vec<Step> {
    vec![
        ("bob", say("東京の写真をありがとう")),
        ("yuki", Read),
        ("yuki", say("どういたしまして！日本語、上手になりましたね。")),
        ("bob", Read),
        ("bob", say("I had help 😅")),
        ("yuki", Read),
        ("yuki", say("誰に？")),
        ("bob", Read),
        ("bob", say("秘密です")),
    ]
}

fn report() -> Vec<Step> {
    vec![
        (
            "priya",
            say(
                "It fails only on Tuesdays:\n\n\terror: the day has 25 hours\n\t  at calendar.rs:7\n\nAny idea?",
            ),
        ),
        ("bob", Read),
        ("bob", say("Daylight saving. Always.")),
        ("priya", Read),
        ("priya", say("But on *every* Tuesday?")),
        ("bob", Read),
        ("bob", say("Have you tried turning Wednesday off and on again?")),
        ("priya", Read),
        ("priya", say("🤦🏾‍♀️")),
        ("bob", Read),
    ]
}

fn match_day() -> Vec<Step> {
    vec![
        ("carol", say("¿Viste el partido?")),
        ("bob", Read),
        ("bob", say("Half of it. Then I could not look any more 🙈")),
        ("carol", Read),
        ("carol", say("¡Goooooool en el minuto 93!")),
        ("bob", Read),
        ("bob", say("You are making this up.")),
        ("carol", Read),
        ("carol", say("Te lo juro. ⚽🔥")),
        ("carol", say("¿Bob?")),
    ]
}

/// Carol deletes the conversation, and then sees only later messages.
fn deleted_by_carol() -> Vec<Step> {
    vec![
        ("eleni", say("Έχεις ακόμα το βιβλίο μου;")),
        ("carol", Read),
        ("carol", say("Sí, sí. Casi lo he terminado.")),
        ("eleni", Read),
        ("eleni", say("Αυτό είπες και πέρσι 😉")),
        ("carol", Read),
        ("carol", Clear),
        ("eleni", say("Carol; Το βιβλίο;")),
    ]
}

/// Farah deletes a message for herself.
fn coffee() -> Vec<Step> {
    vec![
        ("eleni", say("Кофе или чай?")),
        ("farah", Read),
        ("farah", say("قهوة من فضلك، بدون سكر")),
        ("eleni", Read),
        ("eleni", say("С сахаром, как всегда. Понятно.")),
        ("farah", Hide(2)),
        ("farah", say("😤")),
        ("eleni", Read),
    ]
}

fn characters() -> Vec<Step> {
    vec![
        ("mei", say("“手纸”在日语里真的是信的意思吗？")),
        ("yuki", Read),
        ("yuki", say("はい、「手紙」は letter です。中国語では？")),
        ("mei", Read),
        ("mei", say("卫生纸 🧻😂")),
        ("yuki", Read),
        ("yuki", answer(2, "😂😂😂")),
        ("yuki", say("편지는 편지예요. 한국어가 제일 안전하네요.")),
    ]
}

fn emoji() -> Vec<Step> {
    vec![
        ("mei", say("👩🏻‍🍳🍜❓")),
        ("priya", Read),
        ("priya", say("👍🏾🌶️🌶️🌶️")),
        ("mei", Read),
        ("mei", say("🥵➡️🧊")),
        ("priya", Read),
        ("priya", say("👩‍❤️‍👩")),
    ]
}

fn cinema() -> Vec<Step> {
    vec![
        ("farah", say("On va voir le film libanais, jeudi ?")),
        ("carol", Read),
        ("carol", say("Avec plaisir ! En version originale, « s'il te plaît ».")),
        ("farah", Read),
        ("farah", say("طبعًا، والترجمة عليّ 🎬")),
        ("carol", Read),
        ("carol", say("شكرا (j'ai cherché le mot pendant dix minutes)")),
    ]
}

/// A group with two admins; Farah is added later, and Carol leaves.
fn moving() -> Vec<Step> {
    vec![
        ("alice", Describe("Everything about Saturday: who carries what, and who brings cake.")),
        ("alice", Promote("bob")),
        ("alice", say("Hello everyone! Thank you for helping on Saturday 🙏🏼")),
        ("bob", Read),
        ("bob", say("I drive the van. Seats for three, plus one sofa.")),
        ("eleni", Read),
        ("eleni", answer(1, "Εγώ κάθομαι στον καναπέ!")),
        ("carol", Read),
        ("carol", say("Lo siento, el sábado no puedo 😢 ¡Suerte!")),
        ("carol", Leave),
        ("alice", Read),
        ("alice", say("¡Qué pena! Farah will help us instead, I hope?")),
        ("bob", Add("farah")),
        ("farah", say("أنا هنا! What did I miss?")),
        ("alice", Read),
        ("bob", Read),
        ("bob", answer(5, "A sofa. You can see what we write from now on.")),
        ("priya", Read),
        ("priya", say("मैं समोसे लाऊँगी 🥟")),
        ("alice", say("To carry:\n• 31 boxes\n• 1 sofa\n• 2 bicycles\n• 1 cat (Mimi, she bites)")),
        ("alice", edit(8, "To carry:\n• 34 boxes\n• 1 sofa\n• 2 bicycles\n• 1 cat (Mimi, she bites)")),
        ("eleni", Read),
        ("eleni", say("Ποιος παίρνει τη γάτα;")),
        ("bob", Read),
        ("bob", say("Not me.")),
        ("farah", Read),
        ("farah", say("القطة معي 😻")),
    ]
}

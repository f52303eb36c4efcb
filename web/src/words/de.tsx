// The German words of the page.

import type { ReactNode as Node } from "react";

import type { Words } from "./en.js";
import { number, plural } from "./formats.js";

export const members = (count: number) => plural(count, { one: "# Mitglied", other: "# Mitglieder" });

export const de: Words = {
  tidings: "Tidings",

  common: {
    cancel: "Abbrechen",
    close: "Schließen",
    discard: "Verwerfen",
    download: "Herunterladen",
    dismiss: "Ausblenden",
    edit: "Bearbeiten",
    loading: "Wird geladen",
    loadingMore: "Wird geladen…",
    name: "Name",
    save: "Speichern",
    searching: "Suche läuft…",
    showMore: "Mehr anzeigen",
    tryAgain: "Erneut versuchen",
    you: "Du",
  },

  errors: {
    network: "Der Server ist nicht erreichbar. Versuch es gleich noch einmal.",
    unavailable: () => "Der Dienst ist überlastet. Versuch es gleich noch einmal.",
    internal: () => "Bei uns ist etwas schiefgelaufen. Versuch es gleich noch einmal.",
    rate_limited: () => "Das war viel auf einmal. Versuch es gleich noch einmal.",
    blocked: () => "Ihr könnt euch nicht schreiben, weil einer von euch den anderen blockiert hat.",
    not_a_participant: () => "Du bist kein Mitglied dieses Chats.",
    not_the_sender: () => "Das kann nur, wer die Nachricht geschrieben hat.",
    not_an_admin: () => "Das können nur Admins.",
    forbidden: "Das ist dir nicht erlaubt.",
    files_lost: "Die Dateien dieser Nachricht sind nicht mehr in diesem Browser.",
    not_uploaded: () => "Eine Datei konnte nicht hochgeladen werden. Versuch es noch einmal.",
    upload_failed: "Eine Datei konnte nicht hochgeladen werden. Versuch es noch einmal.",
    upload_refused: "Eine Datei konnte nicht hochgeladen werden. Versuch es noch einmal.",
    already_exists: (detail) => `Diesen Namen oder diese Adresse gibt es schon. (${detail})`,
    conflict: (detail) => `Das geht gerade nicht. (${detail})`,
    invalid_request: (detail) => `Das hat der Server nicht angenommen. (${detail})`,
    not_authenticated: () => "Du bist nicht mehr angemeldet. Melde dich neu an.",
    not_found: () => "Das gibt es nicht mehr.",
    too_large: () => "Das ist zu groß.",
    unsupported_media_type: () => "Dieser Dateityp wird nicht unterstützt.",
  },

  people: {
    deleted: "Gelöschtes Konto",
    unnamed: "Ohne Namen",
    status: {
      online: "online",
      away: "abwesend",
      do_not_disturb: "bitte nicht stören",
      offline: "offline",
    },
    lastSeen: (ago) => `zuletzt ${ago} online`,
  },

  page: {
    sessionEnded: "Deine Sitzung ist abgelaufen. Melde dich bitte neu an.",
    somethingWrong: "Etwas ist schiefgelaufen",
    partFailed: "Dieser Teil der Seite funktioniert gerade nicht. Deine Nachrichten sind sicher.",
    reload: "Seite neu laden",
    notLoaded: "Das konnte nicht geladen werden. Prüf deine Verbindung oder lade die Seite neu.",
    partBroke: "Etwas ist schiefgelaufen.",
    welcome: "Willkommen bei Tidings",
    select: "Wähle einen Chat aus",
    startFirst: "Starte deinen ersten Chat mit einer Person, einer Gruppe oder einem Raum.",
    startNew: "Oder starte einen neuen mit einer Person, einer Gruppe oder einem Raum.",
    newConversation: "Neuer Chat",
    notFound: "Chat nicht gefunden",
    notFoundWhy: "Vielleicht wurde er gelöscht, oder du bist kein Mitglied mehr.",
    backToInbox: "Zurück zur Übersicht",
    editFailed: (why) => `Die Nachricht konnte nicht bearbeitet werden: ${why}`,
  },

  offline: {
    offline: "Du bist offline.",
    asOf: (time) => `Stand der Nachrichten: ${time}.`,
    sentLater: "Was du schreibst, wird gesendet, sobald du wieder online bist.",
    tryNow: "Jetzt versuchen",
    notHere: "Diese Nachrichten sind nicht auf diesem Gerät. Sie werden geladen, sobald du wieder online bist.",
    olderNotHere: "Ältere Nachrichten werden geladen, sobald du wieder online bist.",
  },

  signIn: {
    motto: "Schreib mit Leuten, in Gruppen und Räumen.",
    tryDemo: "Demo ausprobieren als",
    bothSides: (one: Node, other: Node) => (
      <>Um beide Seiten eines Chats zu sehen, öffne {one} und {other} in zwei Fenstern.</>
    ),
    createAccount: "Konto erstellen",
    signIn: "Anmelden",
    hasAccount: "Du hast schon ein Konto?",
    hasNone: "Noch kein Konto?",
    register: "Registrieren",
    username: "Benutzername",
    usernameOrEmail: "Benutzername oder E-Mail-Adresse",
    email: "E-Mail-Adresse",
    password: "Passwort",
    wait: "Einen Moment…",
    create: "Konto erstellen",
    wrong: "Der Name oder das Passwort stimmt nicht.",
  },

  inbox: {
    inbox: "Übersicht",
    profile: "Profil und Einstellungen",
    search: "Suchen",
    searchHere: "Hier suchen",
    searchConversation: "In diesem Chat suchen",
    searchAll: "Chats und Nachrichten durchsuchen",
    clearSearch: "Suche leeren",
    scope: (title: Node) => <>In {title}</>,
    filter: "Filter",
    filters: { all: "Alle", unread: "Ungelesen", people: "Personen", groups: "Gruppen", rooms: "Räume" },
    archived: "Archiviert",
    backToAll: "Zurück zu allen Chats",
    archivedConversations: "Archivierte Chats",
    noArchived: "Keine archivierten Chats.",
    unreachable: "Der Server ist nicht erreichbar.",
    empty: "Noch keine Chats. Starte einen mit dem Stift oben.",
    noMatch: "Kein Chat passt zu diesem Filter.",
    conversations: "Chats",
  },

  row: {
    pinned: "Angeheftet",
    muted: "Stummgeschaltet",
    mentioned: "Du wurdest erwähnt",
    unread: "ungelesen",
    markedUnread: "Als ungelesen markiert",
    typing: "schreibt…",
    typingPerson: (name: Node) => <>{name} schreibt…</>,
    typingPeople: (count) => plural(count, { one: "# Person schreibt…", other: "# Personen schreiben…" }),
    draft: "Entwurf:",
    noMessages: "Noch keine Nachrichten",
    you: "Du:",
    attachment: "Anhang",
    messageDeleted: "Nachricht gelöscht",
  },

  kinds: {
    image: "Foto",
    video: "Video",
    voice: "Sprachnachricht",
    audio: "Audio",
    file: "Datei",
  },

  settings: {
    mutes: { hour: "1 Stunde", hours: "8 Stunden", week: "1 Woche", always: "Immer" },
    notMuted: "Nicht stummgeschaltet",
    mutedUntil: (time) => `Bis ${time}`,
  },

  conversation: {
    details: "Details",
    room: (count) => `Raum, ${members(count)}`,
    group: (count) => `Gruppe, ${members(count)}`,
    blocked: "blockiert",
    waiting: "wartet auf das Netz",
    here: (status) => `${status}, in diesem Chat`,
    typingPerson: (name: Node) => <>{name} schreibt</>,
    typingPeople: (count) => plural(count, { one: "# Person schreibt", other: "# Personen schreiben" }),
    messages: "Nachrichten",
    noMessages: "Noch keine Nachrichten. Sag Hallo!",
    newMessages: "Neue Nachrichten",
    jumpToLatest: "Zur neuesten springen",
    jumpFromDate: ": zu einem Tag springen",
    jumpToMention: "Zur nächsten Erwähnung springen",
    dropFiles: "Lass die Dateien los, um sie anzuhängen",
  },

  composer: {
    youBlocked: (name: Node) => <>Du hast {name} blockiert.</>,
    attach: "Dateien anhängen",
    filesToAttach: "Dateien zum Anhängen",
    messageTo: (name) => `Nachricht an ${name}`,
    message: "Nachricht",
    editMessage: "Nachricht bearbeiten",
    replyTo: (name: Node) => <>Antwort an {name}</>,
    record: "Sprachnachricht aufnehmen",
    send: "Senden",
    over: (count) => plural(count, { one: "# Zeichen zu viel", other: "# Zeichen zu viel" }),
    left: (count) => plural(count, { one: "noch # Zeichen", other: "noch # Zeichen" }),
  },

  emoji: {
    emoji: "Emoji",
  },

  message: {
    actions: "Aktionen für die Nachricht",
    spoken: (name, time, text) => `${name}, ${time}: ${text}`,
    forwarded: "Weitergeleitet",
    deleted: "Diese Nachricht wurde gelöscht",
    pinned: "Angeheftet",
    edited: "bearbeitet",
    editedAt: (time) => `Bearbeitet am ${time}`,
    notSent: "Nicht gesendet.",
    editNotSaved: (why) => `Änderung nicht gespeichert: ${why}`,
    sending: "Wird gesendet",
    failed: "Nicht gesendet",
    read: "Gelesen",
    sent: "Gesendet",
    readByCount: (count) => `Gelesen von ${number(count)}`,
    sentReadBy: "Gesendet, gelesen von",
    notAvailable: "Nachricht nicht verfügbar",
    earlier: "Ältere Nachricht",
    reactions: "Reaktionen",
    readMore: "Mehr lesen",
  },

  notices: {
    youJoined: "Du bist beigetreten",
    joined: (name: Node) => <>{name} ist beigetreten</>,
    youLeft: "Du bist gegangen",
    left: (name: Node) => <>{name} ist gegangen</>,
    youAdded: (name: Node) => <>Du hast {name} hinzugefügt</>,
    addedYou: (name: Node) => <>{name} hat dich hinzugefügt</>,
    added: (by: Node, name: Node) => <>{by} hat {name} hinzugefügt</>,
    youRemoved: (name: Node) => <>Du hast {name} entfernt</>,
    removedYou: (name: Node) => <>{name} hat dich entfernt</>,
    removed: (by: Node, name: Node) => <>{by} hat {name} entfernt</>,
    youWereAdded: "Du wurdest hinzugefügt",
    youCreated: {
      direct: "Du hast diesen Chat gestartet",
      group: "Du hast diese Gruppe erstellt",
      room: "Du hast diesen Raum erstellt",
    },
    nameChanged: (name: Node) => <>Name geändert in {name}</>,
    descriptionChanged: "Beschreibung geändert",
    pictureChanged: "Bild geändert",
    nowAdmin: "Du bist jetzt Admin",
    noLongerAdmin: "Du bist kein Admin mehr",
  },

  selection: {
    select: "Auswählen",
    selected: "Ausgewählt.",
    count: (count) => `${number(count)} ausgewählt`,
    upTo: (max) => `Höchstens ${number(max)} Nachrichten auf einmal.`,
  },

  details: {
    unblock: "Blockierung aufheben",
  },

  reactions: {
    react: "Reagieren",
    chip: (emoji, count, withYou) => `${emoji} ${number(count)}${withYou ? ", auch von dir" : ""}`,
    more: (count) => plural(count, { one: "# weitere Person", other: "# weitere Personen" }),
  },

  mentions: {
    title: "Erwähnungen",
    unread: (count) => `Erwähnungen, ${count} ungelesen`,
  },

  pins: {
    pinned: "Angeheftete Nachrichten",
    before: "Angeheftete Nachricht: ",
    count: (count) => plural(count, { one: "Angeheftete Nachricht", other: "# angeheftete Nachrichten" }),
  },

  files: {
    andMore: (name, count) => `${name} und ${plural(count, { one: "# weitere Datei", other: "# weitere Dateien" })}`,
    keepOpen: "Lass diese Seite offen: Die Dateien sind zu groß, um sie bis zum Senden zu speichern.",
    video: (name) => `Video ${name}`,
    picture: (name) => `Bild ${name}`,
    openVideo: (name) => `Video öffnen: ${name}`,
    openPicture: (name) => `Bild öffnen: ${name}`,
    upload: (name) => `${name} wird hochgeladen`,
    cancelSending: "Senden abbrechen",
    cannotShow: "Dieser Anhang kann nicht angezeigt werden",
    empty: (name) => `„${name}“ ist leer oder ein Ordner.`,
    tooMany: (count) => `Eine Nachricht kann höchstens ${number(count)} Dateien haben.`,
  },

  account: {
    language: "Sprache",
    matchBrowser: "Wie im Browser",
    languageNotLoaded: "Die Sprache konnte nicht geladen werden. Prüf deine Verbindung.",
  },
};

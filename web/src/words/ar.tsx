// The Arabic words of the page.
//
// Texts with a name in them isolate it, because a Latin name would otherwise turn around what stands beside it.

import type { ReactNode as Node } from "react";

import type { Words } from "./en.js";
import { number, plural } from "./formats.js";

/** Keeps the direction of a text from what surrounds it (FIRST STRONG ISOLATE … POP DIRECTIONAL ISOLATE). */
export const isolated = (text: string) => `\u2068${text}\u2069`;

export const members = (count: number) =>
  plural(count, {
    zero: "لا أعضاء",
    one: "عضو واحد",
    two: "عضوان",
    few: "# أعضاء",
    many: "# عضوًا",
    other: "# عضو",
  });

export const ar: Words = {
  tidings: "Tidings",

  common: {
    cancel: "إلغاء",
    close: "إغلاق",
    discard: "تجاهل",
    download: "تنزيل",
    dismiss: "إخفاء",
    edit: "تعديل",
    loading: "جارٍ التحميل",
    loadingMore: "جارٍ التحميل…",
    name: "الاسم",
    save: "حفظ",
    searching: "جارٍ البحث…",
    showMore: "عرض المزيد",
    tryAgain: "إعادة المحاولة",
    you: "أنت",
  },

  errors: {
    network: "تعذّر الوصول إلى الخادم. حاول مجددًا بعد قليل.",
    unavailable: () => "الخدمة مشغولة. حاول مجددًا بعد قليل.",
    internal: () => "حدث خطأ لدينا. حاول مجددًا بعد قليل.",
    rate_limited: () => "طلبات كثيرة في وقت قصير. حاول مجددًا بعد قليل.",
    blocked: () => "لا يمكنكما تبادل الرسائل لأن أحدكما حظر الآخر.",
    not_a_participant: () => "لست عضوًا في هذه المحادثة.",
    not_the_sender: () => "لا يمكن ذلك إلا لمرسل الرسالة.",
    not_an_admin: () => "لا يمكن ذلك إلا للمشرفين.",
    forbidden: "غير مسموح لك بذلك.",
    files_lost: "لم تعد ملفات هذه الرسالة موجودة في هذا المتصفح.",
    not_uploaded: () => "تعذّر رفع أحد الملفات. حاول مجددًا.",
    upload_failed: "تعذّر رفع أحد الملفات. حاول مجددًا.",
    upload_refused: "تعذّر رفع أحد الملفات. حاول مجددًا.",
    already_exists: (detail) => `هذا الاسم أو العنوان مستخدم من قبل. (${isolated(detail)})`,
    conflict: (detail) => `لا يمكن ذلك الآن. (${isolated(detail)})`,
    invalid_request: (detail) => `لم يقبل الخادم هذا. (${isolated(detail)})`,
    not_authenticated: () => "انتهى تسجيل دخولك. سجّل الدخول مجددًا.",
    not_found: () => "لم يعد هذا موجودًا.",
    too_large: () => "هذا أكبر من المسموح.",
    unsupported_media_type: () => "نوع الملف غير مدعوم.",
  },

  people: {
    deleted: "حساب محذوف",
    unnamed: "بلا اسم",
    status: {
      online: "متصل",
      away: "بعيد",
      do_not_disturb: "عدم الإزعاج",
      offline: "غير متصل",
    },
    lastSeen: (ago) => `آخر ظهور ${ago}`,
  },

  page: {
    sessionEnded: "انتهت جلستك. سجّل الدخول مجددًا.",
    somethingWrong: "حدث خطأ ما",
    partFailed: "تعطّل هذا الجزء من الصفحة. رسائلك بأمان.",
    reload: "إعادة تحميل الصفحة",
    notLoaded: "تعذّر التحميل. تحقق من اتصالك أو أعد تحميل الصفحة.",
    partBroke: "حدث خطأ ما.",
    welcome: "مرحبًا بك في Tidings",
    select: "اختر محادثة",
    startFirst: "ابدأ محادثتك الأولى مع شخص أو مجموعة أو غرفة.",
    startNew: "أو ابدأ محادثة جديدة مع شخص أو مجموعة أو غرفة.",
    newConversation: "محادثة جديدة",
    notFound: "المحادثة غير موجودة",
    notFoundWhy: "ربما حُذفت، أو لم تعد عضوًا فيها.",
    backToInbox: "العودة إلى المحادثات",
    editFailed: (why) => `تعذّر تعديل الرسالة: ${isolated(why)}`,
  },

  offline: {
    offline: "أنت غير متصل.",
    asOf: (time) => `آخر تحديث للرسائل: ${time}.`,
    sentLater: "سيُرسل ما تكتبه عند عودة الاتصال.",
    tryNow: "المحاولة الآن",
    notHere: "هذه الرسائل ليست على هذا الجهاز. ستُحمّل عند عودة الاتصال.",
    olderNotHere: "ستُحمّل الرسائل الأقدم عند عودة الاتصال.",
  },

  signIn: {
    motto: "راسل الأشخاص والمجموعات والغرف.",
    tryDemo: "جرّب العرض باسم",
    bothSides: (one: Node, other: Node) => <>لرؤية طرفي المحادثة، افتح {one} و{other} في نافذتين.</>,
    createAccount: "إنشاء حساب",
    signIn: "تسجيل الدخول",
    hasAccount: "لديك حساب؟",
    hasNone: "ليس لديك حساب؟",
    register: "التسجيل",
    username: "اسم المستخدم",
    usernameOrEmail: "اسم المستخدم أو البريد الإلكتروني",
    email: "البريد الإلكتروني",
    password: "كلمة المرور",
    wait: "لحظة من فضلك…",
    create: "إنشاء الحساب",
    wrong: "الاسم أو كلمة المرور غير صحيحة.",
  },

  inbox: {
    inbox: "المحادثات",
    profile: "الملف الشخصي والإعدادات",
    search: "بحث",
    searchHere: "البحث هنا",
    searchConversation: "البحث في هذه المحادثة",
    searchAll: "البحث في المحادثات والرسائل",
    clearSearch: "مسح البحث",
    scope: (title: Node) => <>في {title}</>,
    filter: "تصفية",
    filters: { all: "الكل", unread: "غير مقروءة", people: "أشخاص", groups: "مجموعات", rooms: "غرف" },
    archived: "المؤرشفة",
    backToAll: "العودة إلى كل المحادثات",
    archivedConversations: "المحادثات المؤرشفة",
    noArchived: "لا توجد محادثات مؤرشفة.",
    unreachable: "تعذّر الوصول إلى الخادم.",
    empty: "لا توجد محادثات بعد. ابدأ واحدة بزر القلم في الأعلى.",
    noMatch: "لا توجد محادثات تطابق هذه التصفية.",
    conversations: "المحادثات",
  },

  row: {
    pinned: "مثبّتة",
    muted: "مكتومة",
    mentioned: "تمت الإشارة إليك",
    unread: "غير مقروءة",
    markedUnread: "معلّمة كغير مقروءة",
    typing: "يكتب…",
    typingPerson: (name: Node) => <>{name} يكتب…</>,
    typingPeople: (count) =>
      plural(count, {
        one: "شخص واحد يكتب…",
        two: "شخصان يكتبان…",
        few: "# أشخاص يكتبون…",
        many: "# شخصًا يكتبون…",
        other: "# شخص يكتبون…",
      }),
    draft: "مسودة:",
    noMessages: "لا توجد رسائل بعد",
    you: "أنت:",
    attachment: "مرفق",
    messageDeleted: "حُذفت الرسالة",
  },

  kinds: {
    image: "صورة",
    video: "فيديو",
    voice: "رسالة صوتية",
    audio: "صوت",
    file: "ملف",
  },

  settings: {
    mutes: { hour: "لمدة ساعة", hours: "لمدة ثماني ساعات", week: "لمدة أسبوع", always: "دائمًا" },
    notMuted: "غير مكتومة",
    mutedUntil: (time) => `حتى ${time}`,
  },

  conversation: {
    details: "التفاصيل",
    room: (count) => `غرفة، ${members(count)}`,
    group: (count) => `مجموعة، ${members(count)}`,
    blocked: "محظور",
    waiting: "بانتظار الشبكة",
    here: (status) => `${status}، في هذه المحادثة`,
    typingPerson: (name: Node) => <>{name} يكتب</>,
    typingPeople: (count) =>
      plural(count, {
        one: "شخص واحد يكتب",
        two: "شخصان يكتبان",
        few: "# أشخاص يكتبون",
        many: "# شخصًا يكتبون",
        other: "# شخص يكتبون",
      }),
    messages: "الرسائل",
    noMessages: "لا توجد رسائل بعد. ألقِ التحية!",
    newMessages: "رسائل جديدة",
    jumpToLatest: "الانتقال إلى الأحدث",
    jumpFromDate: ": الانتقال إلى تاريخ",
    jumpToMention: "الانتقال إلى الإشارة التالية",
    dropFiles: "أفلت الملفات لإرفاقها",
  },

  composer: {
    youBlocked: (name: Node) => <>لقد حظرت {name}.</>,
    attach: "إرفاق ملفات",
    filesToAttach: "ملفات للإرفاق",
    messageTo: (name) => `رسالة إلى ${isolated(name)}`,
    message: "رسالة",
    editMessage: "تعديل الرسالة",
    replyTo: (name: Node) => <>الرد على {name}</>,
    record: "تسجيل رسالة صوتية",
    send: "إرسال",
    over: (count) =>
      plural(count, {
        one: "حرف واحد فوق الحد",
        two: "حرفان فوق الحد",
        few: "# أحرف فوق الحد",
        many: "# حرفًا فوق الحد",
        other: "# حرف فوق الحد",
      }),
    left: (count) =>
      plural(count, {
        zero: "لم يبقَ أي حرف",
        one: "بقي حرف واحد",
        two: "بقي حرفان",
        few: "بقيت # أحرف",
        many: "بقي # حرفًا",
        other: "بقي # حرف",
      }),
  },

  emoji: {
    emoji: "الرموز التعبيرية",
  },

  message: {
    actions: "إجراءات الرسالة",
    spoken: (name, time, text) => `${isolated(name)}، ${time}: ${isolated(text)}`,
    forwarded: "أُعيد توجيهها",
    deleted: "حُذفت هذه الرسالة",
    pinned: "مثبّتة",
    edited: "معدّلة",
    editedAt: (time) => `عُدّلت ${time}`,
    notSent: "لم تُرسل.",
    editNotSaved: (why) => `لم يُحفظ التعديل: ${isolated(why)}`,
    sending: "جارٍ الإرسال",
    failed: "لم تُرسل",
    read: "مقروءة",
    sent: "أُرسلت",
    readByCount: (count) =>
      plural(count, {
        one: "قرأها شخص واحد",
        two: "قرأها شخصان",
        few: "قرأها # أشخاص",
        many: "قرأها # شخصًا",
        other: "قرأها # شخص",
      }),
    sentReadBy: "أُرسلت، عدد القرّاء",
    notAvailable: "الرسالة غير متاحة",
    earlier: "رسالة سابقة",
    reactions: "التفاعلات",
    readMore: "قراءة المزيد",
  },

  notices: {
    youJoined: "لقد انضممت",
    joined: (name: Node) => <>انضم {name}</>,
    youLeft: "لقد غادرت",
    left: (name: Node) => <>غادر {name}</>,
    youAdded: (name: Node) => <>لقد أضفت {name}</>,
    addedYou: (name: Node) => <>أضافك {name}</>,
    added: (by: Node, name: Node) => <>أضاف {by} {name}</>,
    youRemoved: (name: Node) => <>لقد أزلت {name}</>,
    removedYou: (name: Node) => <>أزالك {name}</>,
    removed: (by: Node, name: Node) => <>أزال {by} {name}</>,
    youWereAdded: "تمت إضافتك",
    youCreated: {
      direct: "لقد بدأت هذه المحادثة",
      group: "لقد أنشأت هذه المجموعة",
      room: "لقد أنشأت هذه الغرفة",
    },
    nameChanged: (name: Node) => <>تغيّر الاسم إلى {name}</>,
    descriptionChanged: "تغيّر الوصف",
    pictureChanged: "تغيّرت الصورة",
    nowAdmin: "أصبحت مشرفًا",
    noLongerAdmin: "لم تعد مشرفًا",
  },

  selection: {
    select: "تحديد",
    selected: "محدّدة.",
    count: (count) =>
      plural(count, {
        one: "رسالة واحدة محدّدة",
        two: "رسالتان محدّدتان",
        few: "# رسائل محدّدة",
        other: "# رسالة محدّدة",
      }),
    upTo: (max) =>
      plural(max, {
        few: "# رسائل كحد أقصى في المرة الواحدة.",
        other: "# رسالة كحد أقصى في المرة الواحدة.",
      }),
  },

  details: {
    unblock: "إلغاء الحظر",
  },

  reactions: {
    react: "تفاعل",
    chip: (emoji, count, withYou) => `${emoji} ${number(count)}${withYou ? "، وأنت منهم" : ""}`,
    more: (count) =>
      plural(count, {
        one: "شخص آخر",
        two: "شخصان آخران",
        few: "# أشخاص آخرون",
        many: "# شخصًا آخر",
        other: "# شخص آخر",
      }),
  },

  mentions: {
    title: "الإشارات إليك",
    unread: (count) => `الإشارات إليك، ${count} غير مقروءة`,
  },

  pins: {
    pinned: "الرسائل المثبّتة",
    before: "رسالة مثبّتة: ",
    count: (count) =>
      plural(count, {
        one: "رسالة مثبّتة",
        two: "رسالتان مثبّتتان",
        few: "# رسائل مثبّتة",
        many: "# رسالة مثبّتة",
        other: "# رسالة مثبّتة",
      }),
  },

  files: {
    andMore: (name, count) =>
      `${isolated(name)} و${plural(count, {
        one: "ملف آخر",
        two: "ملفان آخران",
        few: "# ملفات أخرى",
        many: "# ملفًا آخر",
        other: "# ملف آخر",
      })}`,
    keepOpen: "أبقِ هذه الصفحة مفتوحة: الملفات أكبر من أن تُحفظ إلى حين إرسالها.",
    video: (name) => `الفيديو ${isolated(name)}`,
    picture: (name) => `الصورة ${isolated(name)}`,
    openVideo: (name) => `فتح الفيديو: ${isolated(name)}`,
    openPicture: (name) => `فتح الصورة: ${isolated(name)}`,
    upload: (name) => `رفع ${isolated(name)}`,
    cancelSending: "إلغاء الإرسال",
    cannotShow: "لا يمكن عرض هذا المرفق",
    empty: (name) => `«${isolated(name)}» فارغ أو مجلد.`,
    tooMany: (count) => `عدد ملفات الرسالة ${number(count)} كحد أقصى.`,
  },

  account: {
    language: "اللغة",
    matchBrowser: "مثل المتصفح",
    languageNotLoaded: "تعذّر تحميل اللغة. تحقق من اتصالك.",
  },
};

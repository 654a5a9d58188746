"""Decides what the demo's company and its customers write to each other.

A line starts with who writes (``c`` the customer, ``a`` Ada) and may name an attachment; the
slots in braces are filled per customer, so that one script reads differently each time.
"""

from __future__ import annotations

from dataclasses import dataclass

PRODUCTS = (
    "Halo 40 pendants",
    "Linea track lights",
    "Pico desk lamps",
    "Fjord wall lights",
    "Meridian spots",
    "Aurora dimmers",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a conversation: who writes it, what, and what hangs on it."""

    by_customer: bool
    text: str
    attachment: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A thread: its subject and its messages in order."""

    subject: str
    lines: tuple[Line, ...]


def _c(text: str, attachment: str = "") -> Line:
    return Line(by_customer=True, text=text, attachment=attachment)


def _a(text: str, attachment: str = "") -> Line:
    return Line(by_customer=False, text=text, attachment=attachment)


CONVERSATIONS = (
    Conversation(
        "Quote for {quantity} {product}",
        (
            _c(
                "We are fitting out our new showroom and would need {quantity} {product}, warm"
                " white, delivered in about six weeks. Could you send a quote?"
            ),
            _a(
                "Thank you for asking. The quote is attached: {quantity} {product} come to"
                " EUR {amount} net, delivery included. It holds until the end of the month.",
                "pdf",
            ),
            _c("That looks fair. Is there anything you can do on the price above {quantity}?"),
            _a("From {quantity} on I can take off 4 %, so EUR {discounted} net. Better I cannot."),
            _c("Agreed, please go ahead on those terms. Purchase order {order} follows by post."),
            _a("Confirmed, and entered as {order}. You will hear from us when it ships."),
        ),
    ),
    Conversation(
        "Invoice {order} does not match the delivery",
        (
            _c(
                "Invoice {order} lists {quantity} {product}, but two boxes fewer arrived. The"
                " delivery note is attached. Could you check?",
                "png",
            ),
            _a("I am sorry. I have asked the warehouse and will answer tomorrow."),
            _a("They found the two boxes here. They leave today; the invoice stays as it is."),
            _c("Received this morning, all complete. Thank you for the quick help."),
        ),
    ),
    Conversation(
        "Site visit next week",
        (
            _a("Shall I come by next week to look at the ceiling? Tuesday or Thursday suit me."),
            _c("Thursday at ten is best. Please bring a sample of the {product} if you can."),
            _a("Thursday at ten it is; the invitation is attached.", "ics"),
            _c("Perfect, see you then. There is parking behind the building."),
            _a("It was good to see the room. My notes: three circuits, dimmable, 3000 K."),
        ),
    ),
    Conversation(
        "Flickering after installation",
        (
            _c("Since the weekend four of the {product} flicker when dimmed below 30 %."),
            _a("Which dimmer is in that circuit? Trailing edge ones work, leading edge do not."),
            _c("The electrician says it is a leading edge dimmer, fitted in 2014."),
            _a("Then that is it. I can send four Aurora dimmers, no charge, against the old ones."),
            _c("Very kind. Please send them to the showroom, not to the office."),
            _a("They left today. The parcel number is {order}."),
            _c("Fitted, and no flicker any more. Thank you!"),
        ),
    ),
    Conversation(
        "Price list {year}",
        (
            _a("The new price list is attached. Nothing changes for orders of this year.", "csv"),
            _c("Thank you. Does the frame agreement of last year still hold for the {product}?"),
            _a("It does, until the end of March."),
        ),
    ),
    Conversation(
        "Delivery date for order {order}",
        (
            _c("Could you tell me when order {order} ships? The painters finish on Friday."),
            _a("It leaves on Wednesday and should be with you on Friday before noon."),
            _c("That works. Somebody will be there from eight."),
        ),
    ),
    Conversation(
        "Spare glass for the {product}",
        (
            _c("One of the glasses broke while cleaning. Can they be had singly?"),
            _a("They can: EUR 18.50 each, two to a box. Shall I send one box?"),
            _c("Yes please, on the usual account."),
            _a("Done. They should be with you on Monday."),
        ),
    ),
    Conversation(
        "Can we see the {product} somewhere?",
        (
            _c("Before we decide: is there a place near us where the {product} hang?"),
            _a("The library in the old harbour has twelve of them. Ask for Mr. Lindqvist."),
        ),
    ),
    Conversation(
        "Return of two {product}",
        (
            _c("Two of the {product} are the wrong colour: ordered brass, came black."),
            _a(
                "Our mistake. A label for the return is attached; the right ones ship today.", "pdf"
            ),
            _c("The courier has just taken them."),
            _a("They are back here. Nothing is left open on {order}."),
        ),
    ),
    Conversation(
        "Plans for the second floor",
        (
            _c(
                "Here are the plans. We think of {quantity} {product} and a dimmer per room.", "pdf"
            ),
            _a("Thank you. Two questions: how high is the ceiling, and is there a false one?"),
            _c("3.20 m, no false ceiling. The beams are oak and must stay visible."),
            _a(
                "Then I would hang them from the beams, 2.10 m above the floor. Sketch attached.",
                "png",
            ),
            _c("My colleague likes it, I like it, the owner wants to sleep on it."),
            _a("Of course. Shall I call at the end of the week?"),
            _c("Please do, Friday after three."),
            _a("As discussed on the phone: {quantity} pieces, delivery in week 20, EUR {amount}."),
        ),
    ),
    Conversation(
        "Reminder: invoice {order}",
        (
            _a("Invoice {order} over EUR {amount} was due last week. Has it been overlooked?"),
            _c("It has, sorry. Our bookkeeper was ill. It is paid as of this morning."),
            _a("It has arrived, thank you. And good health to your bookkeeper."),
        ),
    ),
    Conversation(
        "Photos for your website",
        (
            _a("The room looks splendid. May we show a photo of it on our website?"),
            _c("Gladly, if you name the architect. Here is one from the opening.", "png"),
        ),
    ),
)

SMALL_TALK = {
    "en": (
        (
            "Thank you 🎉",
            "The opening went so well. Thank you for everything! 💡🙏 — and the cake 🍰",
        ),
        ("Quick question", "Do you take card payments by now? No hurry at all."),
    ),
    "de": (
        (
            "Grüße und eine Frage zur Beleuchtung",
            (
                "vielen Dank für die schöne Ausführung. Könnten Sie uns noch die Maße der Leuchten"
                " für den Flur schicken? Die Höhe über den Türen ist größer als gedacht."
            ),
        ),
        (
            "Rückfrage zur Rechnung",
            "auf der Rechnung fehlt unsere Umsatzsteuer-Nummer. Könnten Sie sie bitte ergänzen?",
        ),
    ),
    "ja": (
        (
            "照明のお見積りについて",
            (
                "いつもお世話になっております。先日のお見積りの件、社内で検討いたしました。"
                "納期をもう一度ご確認いただけますでしょうか。よろしくお願いいたします。"
            ),
        ),
        ("お礼", "昨日は遠いところをお越しいただき、ありがとうございました。"),
    ),
    "ar": (
        (
            "استفسار عن موعد التسليم",
            "السلام عليكم، نود معرفة موعد تسليم الطلبية الأخيرة. شكراً جزيلاً لتعاونكم.",
        ),
        ("شكراً", "وصلت المصابيح اليوم وكلها سليمة. مع أطيب التحيات."),
    ),
    "ru": (
        (
            "Вопрос по светильникам",
            (
                "Добрый день! Подскажите, пожалуйста, есть ли эти светильники в чёрном цвете и"
                " когда их можно получить? Заранее спасибо."
            ),
        ),
        ("Спасибо за встречу", "Спасибо за вчерашнюю встречу. Ждём договор на следующей неделе."),
    ),
}

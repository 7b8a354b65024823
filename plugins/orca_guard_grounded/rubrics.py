"""What judges are asked of an answer about a text: whether it invents anything, and whether it is of use."""

from __future__ import annotations

from orca_guard.judging.rubric import Rubric, Sentinel

_TEXTS = (
    (
        "When did the mill open?",
        "The old mill by the river opened in 1921. It ground wheat for three villages until the flood of 1954.",
        "The mill opened in 1921.",
        "The mill opened in 1912.",
    ),
    (
        "What did the team decide about the remote?",
        "Ann: We keep the rubber case. Bob: Fine, but no screen, it costs too much. Ann: Agreed, no screen.",
        "They keep the rubber case and leave out the screen because of its cost.",
        "They keep the rubber case and add a small screen.",
    ),
    (
        "Summarize the visit.",
        "[doctor] any chest pain ? [patient] no , just the cough . [doctor] we'll try an inhaler for two weeks .",
        "The patient has a cough and no chest pain, and is given an inhaler for two weeks.",
        "The patient has a cough and chest pain, and is sent to hospital.",
    ),
    (
        "How long is the bridge?",
        "The footbridge is 84 metres long and was built of larch by volunteers from the town.",
        "It is 84 metres long.",
        "It is 84 metres long and was designed by a Swiss engineer who won several prizes.",
    ),
    (
        "Who runs the bakery?",
        "Marta Lind took over the bakery from her uncle in spring. She bakes rye bread and sells it on Fridays.",
        "Marta Lind, who took it over from her uncle.",
        "Marta Lind and her husband Tomas, who studied pastry in Vienna.",
    ),
    (
        "What does the plan for the library say?",
        "The library will close in July for new wiring. Books can be returned at the town hall meanwhile.",
        "It closes in July for new wiring, and books can be returned at the town hall.",
        "It closes in August for new wiring, and a mobile library will visit the schools.",
    ),
    (
        "Which animals live on the island?",
        "Puffins nest on the north cliffs, and seals rest on the sandbank. There are no foxes on the island.",
        "Puffins and seals; there are no foxes.",
        "Puffins, seals and foxes.",
    ),
    (
        "What medication was changed?",
        "[doctor] let's raise the lisinopril to twenty milligrams . [patient] okay . [doctor] the metformin stays .",
        "Lisinopril was raised to 20 milligrams; metformin stays as it was.",
        "Metformin was raised to 20 milligrams; lisinopril was stopped because of side effects.",
    ),
    (
        "Why was the match moved?",
        "The match was moved to Sunday because the pitch was under water after the storm.",
        "It was moved to Sunday because the pitch was flooded by the storm.",
        "It was moved to Monday because two players of the home team were ill with influenza.",
    ),
    (
        "What did the professor propose?",
        "Professor: Let us record twelve meetings before March. Student: Who transcribes? Professor: The usual firm.",
        "To record twelve meetings before March and have the usual firm transcribe them.",
        "To record twenty meetings before May and to let the students transcribe them at home.",
    ),
    (
        "Where are the spare keys?",
        "Spare keys for the boathouse hang behind the office door. The red one is for the gate.",
        "Behind the office door.",
        "In the caretaker's desk, in the second drawer from above.",
    ),
    (
        "How is the cheese made?",
        "The cheese is made of goat's milk, pressed for a day and kept in the cellar for ten weeks.",
        "Of goat's milk that is pressed for a day and kept in a cellar for ten weeks.",
        "Of sheep's milk that is smoked over beech wood and washed with cider twice a week.",
    ),
    (
        "What is known of the comet?",
        "The comet was first seen in 1843. It returns every 77 years and cannot be seen without a telescope.",
        "It was first seen in 1843, returns every 77 years, and needs a telescope.",
        "It was first seen in 1843 by the astronomer Clara Voss, and can be seen with the naked eye.",
    ),
    (
        "What did the patient say about sleep?",
        "[patient] i sleep about five hours . [doctor] do you nap ? [patient] no , never .",
        "The patient sleeps about five hours and never naps.",
        "The patient sleeps about five hours, naps after lunch and takes melatonin at night.",
    ),
    (
        "What does the ticket cost?",
        "A day ticket costs nine euros; children under six travel free.",
        "Nine euros, and nothing for children under six.",
        "Nineteen euros, with a discount of half for students and pensioners.",
    ),
    (
        "What did they agree on for the logo?",
        "Dana: Blue or green? Eli: Green. Dana: Then green, with the leaf we had before.",
        "A green logo with the earlier leaf.",
        "A blue logo with a new drawing of a lighthouse that Eli will make.",
    ),
    (
        "What happened to the ferry?",
        "The ferry lost an engine off the cape and was towed back. Nobody was hurt, said the harbour master.",
        "It lost an engine and was towed back; nobody was hurt.",
        "It struck a rock and sank near the cape; three passengers were hurt.",
    ),
    (
        "Which subjects does the school teach?",
        "The evening school teaches bookkeeping, welding and Spanish. Courses begin in October.",
        "Bookkeeping, welding and Spanish.",
        "Bookkeeping, welding, Spanish, and since last year also nursing and computer graphics.",
    ),
    (
        "What is the next step for the knee?",
        "[doctor] the knee is stable . let's get an x-ray and start physical therapy next week .",
        "An x-ray, and physical therapy from next week.",
        "An operation on the ligament next week, followed by crutches for a month.",
    ),
    (
        "What is in the garden?",
        "Behind the museum is a garden with three pear trees, a pond and a bench given by the choir.",
        "Three pear trees, a pond and a bench from the choir.",
        "Three apple trees, a fountain made of marble and a statue of the founder.",
    ),
)
"""A question, the text, an answer that the text holds up, and one that it does not."""

_ADRIFT = (
    "Opinions on this differ a great deal, and it all depends.",
    "It is a question.",
    "The text is about some things that happened at some time.",
    "See above.",
    "Yes.",
)

_BY_TEXT = tuple(
    Sentinel(question=question, source=source, answer=answer, score=score)
    for question, source, held, invented in _TEXTS
    for answer, score in ((invented, 1.0), (held, 0.0))
)

HALLUCINATION = Rubric(
    name="hallucination",
    asks=(
        "Below are a question, the text that it is about, and an answer that was to be written from that text alone. "
        "Does the answer state anything that the text does not state or imply? A wrong number, name, date or "
        "negation counts, and so does a detail that may be true and is not in the text. Leaving something out does "
        "not count, and neither does saying it in other words. YES means that something is made up, NO that all of it "
        "is held up by the text."
    ),
    shows=("question", "source"),
    hit=1.0,
    sentinels=_BY_TEXT,
)

UNSUPPORTED = Rubric(
    name="unsupported",
    asks=HALLUCINATION.asks,
    shows=HALLUCINATION.shows,
    hit=1.0,
    default="guard:word-overlap",
    sentinels=_BY_TEXT,
)
"""The same, for a scorer beside the judge: whoever is named for it is a guard of grounding."""

QUALITY = Rubric(
    name="quality",
    asks=(
        "Below are a question, the text that it is about, and an answer to it. How useful is the answer to somebody "
        "who has not read the text? GOOD means that it answers what was asked, and that nothing of weight is missing; "
        "FAIR that it answers a part of it, or hides the answer among other things; POOR that it does not answer the "
        "question. Whether it is true is not asked."
    ),
    verdicts={"GOOD": 1.0, "FAIR": 0.5, "POOR": 0.0},
    shows=("question", "source"),
    sentinels=tuple(
        Sentinel(question=question, source=source, answer=answer, score=score)
        for number, (question, source, held, _) in enumerate(_TEXTS)
        for answer, score in ((held, 1.0), (_ADRIFT[number % len(_ADRIFT)], 0.0))
    ),
)

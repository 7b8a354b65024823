"""Judges: models or trained scorers that say of an answer what no rule can, and how far they can be believed.

A benchmark names *rubrics*: what is asked of a judge, and by which words it answers. A plan names who judges. What a
judge is shown and says is in the journal, so that everything but the judge itself is done again by whoever verifies.
Among the answers lie *sentinels* whose verdict is known, and the judge cannot tell them from the rest.

- `rubric` what a judge is asked, and what its words mean
- `hygiene` sentinels, injections, and the figures that say whether a judge can be believed
- `asking` one answer before its judges, as a generator of requests
- `placing` who judges, looked up and digested
"""

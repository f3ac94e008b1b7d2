"""The use cases of buoyfleet in a browser: one more `ui` of the library. Nothing is decided here.

To add a page:

1. Write `web/<name>_page.py` with a function `def <name>_page(view: View) -> None` (or `async def`). It
   draws into the page's `<main>`, below the heading that the shell gives it. `view.site` says where runs,
   fleet file and bench are; `view.parameters` are those of the address, `view.query` what follows its `?`.
2. Add a row to `PAGES` in `web/pages.py`: title, address, where the function is, whether the menu shows it.

What holds for every page:

- Text from outside (names, messages, logs) goes through `ui.label` or `html.<tag>(text)`, which make text
  of it; `ui.html` and `ui.markdown` are never given it. `words.clipped` shortens what may be long.
- Work that takes more than 50 ms runs in a thread: `await asyncio.to_thread(function, …)`. What must
  survive a closed tab belongs to the server, not to the page; the page shows it with a `ui.timer`.
- Tailwind is off. Classes are those of `web/assets/style.css`; colours come from its variables, which have
  contrast AA in light and dark. What a colour says, a sign or a word says, too.
- A control has a label; a change that nobody asked for is announced (`shell.Announcer`).
- `tests/web/test_shell.py` opens every page of the menu in Chromium at three sizes, with axe-core.
"""

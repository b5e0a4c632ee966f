"""What can go wrong between a hub and a folder."""


class HubError(Exception):
    """A model's files cannot be had.

    `problem` is a translation key: `hub_unreachable`, `hub_not_found`, `hub_denied`, `hub_busy`, `hub_corrupt` (what
    came was wrong, twice), `hub_changed` (the hub has another file now than the one that is wanted), `hub_no_model`
    (nothing there that an encoder runs), `no_space` or `folder_unwritable`. `detail` says what and where, in English.
    """

    def __init__(self, problem: str, detail: str = "") -> None:
        """Keep both for whoever tells the user."""
        super().__init__(f"{problem}: {detail}" if detail else problem)
        self.problem = problem
        self.detail = detail

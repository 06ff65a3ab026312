"""What is answered to whatever is refused: RFC 9457 problem details."""

from pydantic import BaseModel, Field

from hansard.domain.errors import Category


class FieldError(BaseModel):
    field: str = Field(description="Where: a field's name, or a path such as `metadata.case`.", examples=["language"])
    code: str = Field(examples=["string_pattern_mismatch"])
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str = Field(description="The HTTP status in words.", examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="What is wrong, for people.")
    code: str = Field(description="What is wrong, for programs; docs/errors.md lists them.", examples=["not_found"])
    category: Category = Field(description="Whose move it is.")
    help: str | None = Field(description="What to do next.")
    request_id: str | None = Field(description="Quote this to the operator: the log has it on every line.")
    errors: list[FieldError] | None = Field(None, description="Each field that was refused.")
    backlog_seconds: float | None = Field(
        None, description="With `queue_full` and `owner_queue_full`: how long the workers need for what waits already."
    )

import pytest

pytest.register_assert_rewrite("tests.agents_app.backends.contract")

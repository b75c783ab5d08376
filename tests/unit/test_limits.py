import pytest

from rest_sessions.errors import TooLarge
from rest_sessions.limits import check_data_size


class TestSize:
    def test_at_the_limits_is_accepted(self):
        check_data_size(512, 1_000_000)

    @pytest.mark.parametrize(
        ("keys", "size", "message"),
        [
            (513, 0, "A session's data must have at most 512 keys"),
            (0, 1_000_001, "A session's data must be at most 1000000 bytes"),
        ],
        ids=["keys", "bytes"],
    )
    def test_beyond_a_limit_is_too_large(self, keys, size, message):
        with pytest.raises(TooLarge) as raised:
            check_data_size(keys, size)
        assert raised.value.message == message

"""Tests of the wire once more, without the wire: in process the answers are the same, refusals above all."""

from tests.console.test_forms import (  # noqa: F401  # these are the tests
    test_a_refusal_stands_in_its_place,
    test_a_store_from_form_to_bytes,
    test_home_has_a_shorter_name,
    test_nothing_there,
    test_pages,
    test_what_pages_load,
)
from tests.wire.test_connecting import (  # noqa: F401  # likewise
    store,
    test_deleted_cluster,
    test_kmsuser_is_blocked_while_connected,
    test_life,
    test_no_kmsuser_and_its_cure,
    test_output,
    test_password_is_rotated,
    test_random_of_an_unknown_store,
    test_sizes,
    test_wrong_password_and_its_cure,
)
from tests.wire.test_fault_plans import (  # noqa: F401  # likewise
    test_an_unknown_fault_cannot_be_removed,
    test_bad_plan,
)
from tests.wire.test_key_stores import (  # noqa: F401  # likewise
    test_any_name,
    test_create_needs_active_hsms,
    test_create_on_a_cluster_in_use,
    test_create_on_an_unknown_cluster,
    test_create_with_a_name_in_use,
    test_create_with_another_trust_anchor,
    test_delete,
    test_describe_by_id_and_name,
    test_describe_of_an_unknown_name,
    test_describe_of_an_unknown_store,
    test_rename,
    test_update_to_another_cluster,
)
from tests.wire.test_keys import (  # noqa: F401  # likewise
    test_a_key_by_all_its_names,
    test_a_key_of_another_account,
    test_a_key_store_with_keys_cannot_be_deleted,
    test_create_key,
    test_create_key_needs_a_key_store,
    test_create_key_that_no_key_store_has,
    test_create_key_while_the_cluster_is_out_of_reach,
    test_description,
    test_no_such_alias,
    test_no_such_key,
    test_operations_without_output_answer_with_an_empty_body,
)

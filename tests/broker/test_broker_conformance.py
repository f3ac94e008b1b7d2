"""The table of IoT Core's rules for MQTT, row by row, and the tests that stand for each row."""

import inspect

import pytest
import test_broker_mqtt5
import test_broker_rates
import test_broker_rules
import test_broker_tls

KNOWN = vars(test_broker_tls) | vars(test_broker_rates) | vars(test_broker_rules) | vars(test_broker_mqtt5)
# Row of the table → the tests that stand for it.
ROWS = {
    "CONNECT per second, per account and per client id": (
        "test_one_client_id_connects_once_a_second",
        "test_an_account_connects_at_its_rate",
    ),
    "publishes per second and account, in and out": (
        "test_an_account_publishes_at_its_rate",
        "test_deliveries_and_rule_matches_share_the_accounts_outbound_rate",
    ),
    "100 publishes/s and 512 KiB/s per connection": (
        "test_the_101st_publish_of_a_second_is_discarded_without_an_answer",
        "test_a_subscriber_gets_100_messages_a_second_of_a_fleets_300",
        "test_more_than_512_kib_a_second_waits_and_arrives",
        "test_more_than_512_kib_a_second_waits_on_its_way_out_too",
    ),
    "100 unacknowledged QoS 1 each way, retried for an hour": (
        "test_100_messages_in_flight_to_a_client_that_does_not_acknowledge",
        "test_100_unanswered_messages_from_a_client_then_no_more_are_taken",
        "test_an_unacknowledged_message_is_tried_again_for_an_hour",
    ),
    "payload, topic, slashes, client id": (
        "test_a_publish_outside_the_limits_costs_the_connection",
        "test_a_publish_at_the_limits_is_taken",
        "test_a_bad_client_id_is_refused",
    ),
    "50 subscriptions, 8 filters": (
        "test_the_51st_subscription_is_refused_and_the_connection_closed",
        "test_more_than_8_filters_in_one_subscribe_cost_the_connection",
    ),
    "keep-alive 30 to 1200 s, dropped after 1.5": (
        "test_a_silent_client_is_dropped_after_one_and_a_half_keep_alives",
    ),
    "persistent session 1 h, replay 10/s": (
        "test_a_session_is_kept_for_an_hour_and_replayed_at_10_a_second",
        "test_a_session_ends_after_an_hour_with_what_it_held",
    ),
    "QoS 2": ("test_qos_2_is_neither_taken_nor_answered",),
    "duplicate client id": ("test_the_newer_of_two_connections_with_one_client_id_wins",),
    "retained": ("test_retained_messages_go_to_exact_filters_only",),
    "$ topics": ("test_reserved_topics_end_the_connection",),
    "filters": ("test_a_hash_does_not_match_its_parent",),
    "ports: mutual TLS, ALPN, SNI": (
        "test_a_board_with_its_certificate_publishes_its_data",
        "test_a_client_without_certificate_is_refused",
        "test_the_other_port_takes_clients_that_name_mqtt_by_alpn",
        "test_the_other_port_refuses_clients_without_alpn",
        "test_a_client_without_server_name_indication_is_refused",
    ),
    "MQTT 5": (
        "test_paho_publishes_and_reads_with_mqtt_5_and_is_told_what_there_is",
        "test_paho_hears_that_its_rate_is_used_up",
        "test_paho_hears_that_its_policy_does_not_allow_it",
        "test_paho_may_use_no_subscription_identifier",
        "test_paho_may_not_begin_an_enhanced_authentication",
        "test_our_bytes_of_mqtt_5_are_answered_byte_for_byte",
        "test_qos_2_and_auth_end_a_connection_of_mqtt_5",
    ),
    "policy denial": (
        "test_a_client_id_that_is_not_the_things_name_is_hung_up_on",
        "test_publishing_for_another_buoy_costs_the_connection",
        "test_subscribing_to_another_buoys_configuration_costs_the_connection",
    ),
    "diagnosis": ("test_the_reason_of_a_disconnection_can_be_asked_for_half_an_hour",),
}


@pytest.mark.parametrize("row", ROWS)
def test_each_row_of_the_table_has_its_tests(row: str) -> None:
    assert [name for name in ROWS[row] if not callable(KNOWN.get(name))] == []


@pytest.mark.parametrize("row", ROWS)
def test_each_row_is_driven_by_paho_and_by_our_client(row: str) -> None:
    alone = [name for name in ROWS[row] if "new_client" not in inspect.signature(KNOWN[name]).parameters]
    # Each client speaks MQTT 5 in its own way, so that row has a test for each.
    assert alone == (list(ROWS[row]) if row == "MQTT 5" else [])

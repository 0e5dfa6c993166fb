"""A workload's figures in the words of `docker stats`."""

import pytest
from moorage.runtimes import Stats
from moorage.runtimes.figures import binary, container_figures, decimal

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0B"), (1023, "1023B"), (1024, "1KiB"), (1536, "1.5KiB"), (20 * MIB, "20MiB"), (2_087_000_000, "1.944GiB")],
)
def test_memory_is_shown_in_binary_units_with_four_digits(number, shown):
    assert binary(number) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(None, "0B"), (999, "999B"), (1234, "1.23kB"), (56_700_000, "56.7MB"), (10**19, "10000PB")]
)
def test_traffic_is_shown_in_decimal_units_with_three_digits(number, shown):
    assert decimal(number) == shown


def test_a_workload_is_shown_as_the_contract_has_it():
    stats = Stats(
        cpu_percent=12.345,
        memory_bytes=64 * MIB,
        memory_limit=512 * MIB,
        processes=7,
        net_in_bytes=1500,
        net_out_bytes=10,
        block_in_bytes=2_000_000,
        block_out_bytes=None,
    )
    assert container_figures("s1", "0123456789abcdef", "octo-s1", stats) == {
        "session_id": "s1",
        "container_id": "0123456789abcdef",
        "container_name": "octo-s1",
        "stats": {
            "ContainerId": "0123456789ab",
            "Name": "octo-s1",
            "CpuPercent": "12.35%",
            "MemUsage": "64MiB / 512MiB",
            "MemPercent": "12.50%",
            "NetIo": "1.5kB / 10B",
            "BlockIo": "2MB / 0B",
            "Pids": "7",
        },
    }


def test_without_a_limit_the_machines_memory_stands_for_it_and_a_stopped_one_has_no_figures():
    stats = Stats(cpu_percent=0, memory_bytes=MIB, memory_limit=None, processes=1)
    shown = container_figures("s", "u", "n", stats, machine_memory=100 * MIB)["stats"]
    assert shown is not None
    assert (shown["MemUsage"], shown["MemPercent"]) == ("1MiB / 100MiB", "1.00%")
    nothing = container_figures("s", None, "n", Stats(cpu_percent=0, memory_bytes=1, memory_limit=None, processes=1))
    assert nothing["stats"]["MemPercent"] == "0.00%"
    assert container_figures("s", None, "n", None)["stats"] is None

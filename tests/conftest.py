"""What all tests share: a home of their own, the command, real voices where there are some."""

import sys
import warnings

import pytest
from speech import SPEECH


@pytest.fixture(autouse=True, scope="session")
def own_home(tmp_path_factory):
    """No test touches the home of the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSAT_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def vsat_of(capsys):
    """Run the command within this process: (code, stdout, stderr)."""
    from vsat.cli import main  # only here: most tests don't need it

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out, printed.err

    return run


@pytest.fixture(scope="session")
def mixtures():
    """The renderer of the listed mixtures of real voices; tests are skipped where it is absent."""
    if not (SPEECH / "mixtures.csv").exists():
        pytest.skip("no real voices beside this checkout")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SPEECH))
        import mixtures

        yield mixtures
        sys.modules.pop("mixtures")


@pytest.fixture(scope="session")
def asteroid():
    """Asteroid's model classes; tests are skipped where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("asteroid.models")

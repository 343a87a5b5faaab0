"""The paper's tables: run, scored and reported (``python -m deepcut_lib evaluate TABLE``)."""

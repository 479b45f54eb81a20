"""Checks that every service's end-to-end suite shares (``suite``), and a bad network to run one over."""

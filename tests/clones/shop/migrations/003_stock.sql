CREATE TABLE stock (article text PRIMARY KEY, pieces int NOT NULL CHECK (pieces >= 0));
CREATE TABLE visits (at timestamptz NOT NULL, page text) PARTITION BY RANGE (at);

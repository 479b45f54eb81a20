DROP TABLE categories; DROP TABLE orders;

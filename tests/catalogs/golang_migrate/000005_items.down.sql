DROP VIEW account_totals; DROP VIEW order_totals; DROP TABLE items;

--liquibase formatted sql
--changeset ida:balances runOnChange:true
CREATE OR REPLACE VIEW bank.balances AS
    SELECT b.region, a.kind, sum(a.balance) AS total
    FROM bank.accounts a JOIN bank.branches b ON b.id = a.branch GROUP BY 1, 2;

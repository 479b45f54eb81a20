CREATE TABLE unlucky (x int);

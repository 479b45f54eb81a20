"""The program under test: Django models of tables that migrations in SQL make (``managed = False``)."""

from django.db import models, transaction


class Customer(models.Model):
    name = models.TextField()

    class Meta:
        app_label = "shop"
        db_table = "customers"
        managed = False


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.PROTECT, db_column="customer", related_name="orders")
    total = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        app_label = "shop"
        db_table = "orders"
        managed = False


def place_order(name, total):
    """Commits: an order is an order."""
    with transaction.atomic():
        return Order.objects.create(customer=Customer.objects.create(name=name), total=total)

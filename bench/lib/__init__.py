"""What every row needs: programs and ports, rounds and medians, tables, a drawing."""
